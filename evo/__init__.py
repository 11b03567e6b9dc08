"""prompt-archipelago: distributed evolutionary search for LLM prompts."""
