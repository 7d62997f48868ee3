"""Parts of the archive source: find and open files, cut them into items, keep their pace."""
