"""Tasks, queues and signals; carries out what the dispatcher decides."""
