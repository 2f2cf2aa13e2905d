"""What a job does, one module each: `jobs` has the table, `context` what they are given, `desk` what people do by hand."""

from .context import Attachments, JobContext, JobLimits, Recording, Render
from .desk import JobDesk
from .jobs import KINDS, Jobs

__all__ = ["KINDS", "Attachments", "JobContext", "JobDesk", "JobLimits", "Jobs", "Recording", "Render"]
