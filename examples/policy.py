"""
What happens to 1,000 messages when their receiver greylists, with a hook and a
configuration of ours?

Run it as it is.  An hour passes, by a virtual clock; nothing leaves this
program, not even over the loopback interface.
"""

from zope.interface import implementer

from momentum_tx.interfaces.hooks import IConnectionGoal
from momentum_tx.testing.behaviours import Greylisting
from momentum_tx.testing.world import World

CONFIG = """
[domain."example.com"]
retry_interval = 200
max_recipients_per_connection = 100
"""


@implementer(IConnectionGoal)
class Gently:
    """
    The policy: no more than two connections to any domain.
    """

    def connection_goal(self, dr, binding_slot, queued, goal):
        """
        A fold: what is answered takes the place of *goal*.
        """
        return min(goal, 2)


def main():
    """
    Play it, and print what has become of the messages.
    """
    world = World(config_text=CONFIG, providers=[Gently()])
    mx = world.exchanger("example.com")
    mx.add(Greylisting(300))
    for number in range(1000):
        world.send("news@sender.example", [f"user{number}@example.com"], world.message(f"Number {number}"))
    world.advance(3600)
    print(world.summary())
    world.stop()


if __name__ == "__main__":
    main()
