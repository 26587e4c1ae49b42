"""A run as one HTML page that needs nothing else: no network, no library."""

from cwlbalsam.service.report.page import write_page
from cwlbalsam.service.report.run_data import gather

__all__ = ["gather", "write_page"]
