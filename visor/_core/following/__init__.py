"""The core of following state: pure, shared by the blocking and the asyncio side."""
