"""What was computed, kept below the output folder: addresses, blocks of points, shelves."""
