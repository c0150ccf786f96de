"""Where records are kept: tables, transactions, queries, migrations, backup. The only door to SQL."""
