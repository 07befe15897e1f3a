"""The core of the typed store: pure, shared by the blocking and the asyncio side."""
