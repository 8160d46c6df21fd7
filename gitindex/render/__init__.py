"""Values to bytes: pages for machines, pages for people, feeds. Knows no Git, no disk and no network."""
