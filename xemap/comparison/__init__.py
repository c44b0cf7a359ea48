"""Several methods over the same queries: the paper's Tables 2 and 3, and its Figure 5."""

from xemap.comparison.method import Method, Outcome, run_method
from xemap.comparison.page import write_page
from xemap.comparison.run import compare
from xemap.comparison.table import as_csv, as_html, as_markdown, as_text

__all__ = ['Method', 'Outcome', 'as_csv', 'as_html', 'as_markdown', 'as_text', 'compare', 'run_method', 'write_page']
