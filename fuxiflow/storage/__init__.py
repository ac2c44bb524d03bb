"""Files written whole or not at all, with their provenance; tables; restart state."""
