"""Cases on disk: tables, summary, HTML."""
