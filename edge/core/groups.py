"""Who gets what: an index from each id to the groups of clients that asked for it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from edge.core.forms import Form
from edge.core.members import Group, Member

_Key = TypeVar("_Key")


class Groups:
    """The subscriptions of one party, by groups of clients.

    What a change costs depends on the groups that want it, not on the clients there are.
    """

    def __init__(self) -> None:
        self._groups: dict[tuple[Form, frozenset[str] | None], Group] = {}
        self._all: dict[Group, None] = {}
        self._by_id: dict[str, dict[Group, None]] = {}
        # Also of those who named an id and are subscribed to everything besides.
        self._namers: dict[str, int] = {}

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self._groups)

    def subscribe(self, member: Member, ids: Iterable[str] | None) -> frozenset[str]:
        """Add ids, or everything; return those that nobody had named before."""
        if ids is None:
            member.has_all = True
            self.place(member)
            return frozenset()
        added = frozenset(ids) - member.named
        fresh = frozenset(each for each in added if each not in self._namers)
        for each in added:
            self._namers[each] = self._namers.get(each, 0) + 1
        member.named |= added
        self.place(member)
        return fresh

    def unsubscribe(self, member: Member, ids: Iterable[str] | None) -> frozenset[str]:
        """Remove ids, or everything; return those that nobody names any more."""
        if ids is None:
            member.has_all = False
        removed = member.named if ids is None else member.named.intersection(ids)
        member.named -= removed
        self.place(member)
        return frozenset(each for each in removed if self._is_last(each))

    def place(self, member: Member) -> None:
        """Put a client into the group of its form and subscription.

        To be called after either of them changed, or whether it is behind.
        """
        group, selection = member.group, member.selection
        if group is not None and (group.form, group.ids) != (member.form, selection):
            group.drop(member)
            self._close(group)
            group = None
        if selection is None or selection:
            if group is None:
                group = self._open(member.form, selection)
            group.take(member)

    def concerned(
        self, changed: Sequence[tuple[_Key, int]], named: Callable[[_Key], str]
    ) -> Iterator[tuple[Group, Sequence[tuple[_Key, int]]]]:
        """Yield each group that wants any of what changed, and what of it.

        ``named`` tells the id by which a subscription names a key.
        """
        found: dict[Group, list[tuple[_Key, int]]] = {}
        for flagged in changed:
            for group in self._by_id.get(named(flagged[0]), ()):
                found.setdefault(group, []).append(flagged)
        yield from found.items()
        if changed:
            yield from ((group, changed) for group in self._all)

    def __iter__(self) -> Iterator[Group]:
        """Yield every group."""
        return iter(self._groups.values())

    def _open(self, form: Form, ids: frozenset[str] | None) -> Group:
        group = self._groups.get((form, ids))
        if group is None:
            group = self._groups[form, ids] = Group(form, ids)
            if ids is None:
                self._all[group] = None
            for each in ids or ():
                self._by_id.setdefault(each, {})[group] = None
        return group

    def _close(self, group: Group) -> None:
        """Forget a group that nobody is in any more."""
        if len(group):
            return
        del self._groups[group.form, group.ids]
        self._all.pop(group, None)
        for each in group.ids or ():
            del self._by_id[each][group]
            if not self._by_id[each]:
                del self._by_id[each]

    def _is_last(self, each: str) -> bool:
        left = self._namers.pop(each) - 1
        if left:
            self._namers[each] = left
        return not left
