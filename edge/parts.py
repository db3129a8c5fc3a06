"""What every request needs at hand."""

from dataclasses import dataclass, field

from edge.clients import Clients
from edge.config import EdgeConfig
from edge.core.hub import Hub
from edge.demand import Demand
from edge.follower import Follower
from runtime.clock import Clock
from runtime.health import Health


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one edge, and whether it may be asked."""

    config: EdgeConfig
    clock: Clock
    hub: Hub
    clients: Clients
    demand: Demand
    follower: Follower
    health: Health = field(default_factory=Health)

    def closed_because(self) -> str | None:
        """Return why nobody is served now; ``None`` when everybody is.

        An empty table would look like an empty market.
        """
        if self.clients.closing:
            return "stopping"
        return self.follower.behind()
