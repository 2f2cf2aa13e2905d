"""From events to what is done because of them: a pure core, the keeper that feeds it, and the executor."""

from .causes import Subject
from .core import Due, Engine
from .executor import Executor, ExecutorLimits, Lasting
from .keeper import Keeper
from .ledger import Ledger
from .report import Report
from .timeline import Timeline

__all__ = [
    "Due",
    "Engine",
    "Executor",
    "ExecutorLimits",
    "Keeper",
    "Lasting",
    "Ledger",
    "Report",
    "Subject",
    "Timeline",
]
