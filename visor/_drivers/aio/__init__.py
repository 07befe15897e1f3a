"""What differs in nature, under asyncio."""
