"""The core of the view registry: pure, shared by the blocking and the asyncio side."""
