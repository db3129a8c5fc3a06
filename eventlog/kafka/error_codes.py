"""Error codes of the Kafka protocol that the driver does not know, and what each means.

The driver turns every code that it has no class for into an ``UnknownError`` without the
number. ``install`` gives it a class for each, so that an operator reads the number and the
broker's own name for the refusal.
"""

from typing import Final

from aiokafka import errors

# From the protocol guide of Apache Kafka, without those the driver knows.
_NAMES: Final = {
    73: "TOPIC_DELETION_DISABLED",
    74: "FENCED_LEADER_EPOCH",
    75: "UNKNOWN_LEADER_EPOCH",
    76: "UNSUPPORTED_COMPRESSION_TYPE",
    77: "STALE_BROKER_EPOCH",
    78: "OFFSET_NOT_AVAILABLE",
    80: "PREFERRED_LEADER_NOT_AVAILABLE",
    81: "GROUP_MAX_SIZE_REACHED",
    82: "FENCED_INSTANCE_ID",
    83: "ELIGIBLE_LEADERS_NOT_AVAILABLE",
    84: "ELECTION_NOT_NEEDED",
    85: "NO_REASSIGNMENT_IN_PROGRESS",
    86: "GROUP_SUBSCRIBED_TO_TOPIC",
    87: "INVALID_RECORD",
    88: "UNSTABLE_OFFSET_COMMIT",
    89: "THROTTLING_QUOTA_EXCEEDED",
    91: "RESOURCE_NOT_FOUND",
    92: "DUPLICATE_RESOURCE",
    93: "UNACCEPTABLE_CREDENTIAL",
    94: "INCONSISTENT_VOTER_SET",
    95: "INVALID_UPDATE_VERSION",
    96: "FEATURE_UPDATE_FAILED",
    97: "PRINCIPAL_DESERIALIZATION_FAILURE",
    98: "SNAPSHOT_NOT_FOUND",
    99: "POSITION_OUT_OF_RANGE",
    100: "UNKNOWN_TOPIC_ID",
    101: "DUPLICATE_BROKER_REGISTRATION",
    102: "BROKER_ID_NOT_REGISTERED",
    103: "INCONSISTENT_TOPIC_ID",
    104: "INCONSISTENT_CLUSTER_ID",
    105: "TRANSACTIONAL_ID_NOT_FOUND",
    106: "FETCH_SESSION_TOPIC_ID_ERROR",
    107: "INELIGIBLE_REPLICA",
    108: "NEW_LEADER_ELECTED",
    109: "OFFSET_MOVED_TO_TIERED_STORAGE",
    110: "FENCED_MEMBER_EPOCH",
    111: "UNRELEASED_INSTANCE_ID",
    112: "UNSUPPORTED_ASSIGNOR",
    113: "STALE_MEMBER_EPOCH",
}
_HINTS: Final = {87: "perhaps a record without a key in a compacted topic"}
# Sent instead of INVALID_PRODUCER_EPOCH by some brokers; it means the same.
_PRODUCER_FENCED: Final = 90
# Above all codes that the protocol has today.
_LAST_CODE: Final = 255


class UnlistedError(errors.UnknownError):
    """A refusal with a code that the driver has no class for."""

    code = -1

    def __str__(self) -> str:
        """Return the code and the broker's name for it, where that is known."""
        name = _NAMES.get(self.code)
        text = f"error {self.code}" + (f" ({name})" if name else "")
        hint = _HINTS.get(self.code)
        return f"the broker refused with {text}" + (f": {hint}" if hint else "")


def install() -> None:
    """Give the driver a class for every code that it lacks; again changes nothing."""
    known = errors.kafka_errors
    known.setdefault(_PRODUCER_FENCED, errors.InvalidProducerEpoch)
    for code in range(1, _LAST_CODE + 1):
        if code not in known:
            known[code] = _class_for(code)


def _class_for(number: int) -> type[UnlistedError]:
    class Unlisted(UnlistedError):
        code = number

    return Unlisted
