"""How a report is drawn: tables, plots and the page."""
