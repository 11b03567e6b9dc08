"""Islands, fitness workers and the broker between them, in one process or on Ray."""
