"""How many bytes of deliveries all conversations together may hold, so that memory does not grow with their number.

A line's length is not known before its end, so what is granted for its parts adds up, and several long lines could
wait for each other for ever. Therefore one conversation at a time may go beyond the budget: its line comes to its end,
its delivery is answered, and what it held is given back. The sum is at most the budget and one line.
"""

import asyncio


class Budget:
    """Bytes for all conversations of a worker."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.exceeded = False
        """Whether a conversation goes beyond it now."""
        self.changed = asyncio.Event()
        """Set, and replaced, when something is given back."""


class Share:
    """What one conversation holds of the budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._held = 0
        self._exceeds = False

    async def take(self, size: int) -> None:
        """Waits until there is so much for this conversation."""
        budget = self._budget
        while size > budget.left and not self._exceeds:
            if budget.exceeded:
                await budget.changed.wait()
            else:
                budget.exceeded = self._exceeds = True
        budget.left -= size
        self._held += size

    def give_back(self) -> None:
        """All of it: the delivery is answered, or the conversation has ended."""
        if not self._held:
            return
        budget = self._budget
        budget.left += self._held
        budget.exceeded = budget.exceeded and not self._exceeds
        self._held, self._exceeds = 0, False
        changed, budget.changed = budget.changed, asyncio.Event()
        changed.set()
