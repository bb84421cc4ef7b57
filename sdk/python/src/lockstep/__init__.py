"""Client and worker of the Lockstep work queue, with nothing but the standard library.

`Client` adds work, sends events and starts workflows; `Worker` runs functions for units.
"""

from .client import Client, NewUnit, Received
from .errors import (
    BadRequest,
    Conflict,
    Denied,
    LockstepError,
    LostLease,
    NotFound,
    Unavailable,
)
from .wire import Attempt
from .worker import Fail, Finish, Retry, Task, Worker

__all__ = [
    "Attempt",
    "BadRequest",
    "Client",
    "Conflict",
    "Denied",
    "Fail",
    "Finish",
    "LockstepError",
    "LostLease",
    "NewUnit",
    "NotFound",
    "Received",
    "Retry",
    "Task",
    "Unavailable",
    "Worker",
]
