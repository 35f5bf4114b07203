"""The Python benchmark: bench.py ROUNDS. Every round does the same, and must come to the same result."""
import sys


class Node:
    def __init__(self, key):
        self.key = key
        self.left = self.right = None

    def insert(self, key):
        node = self
        while True:
            side = "left" if key < node.key else "right"
            child = getattr(node, side)
            if child is None:
                setattr(node, side, Node(key))
                return
            node = child

    def __iter__(self):
        if self.left:
            yield from self.left
        yield self.key
        if self.right:
            yield from self.right


def sieve(limit):
    prime = bytearray([1]) * limit
    for n in range(2, int(limit**0.5) + 1):
        if prime[n]:
            prime[n * n :: n] = bytes(len(range(n * n, limit, n)))
    return sum(prime[2:])


def orbit(steps):
    x, y, vx, vy = 1.0, 0.0, 0.0, 1.0
    for _ in range(steps):
        cube = (x * x + y * y) ** 1.5
        vx -= 0.001 * x / cube
        vy -= 0.001 * y / cube
        x += 0.001 * vx
        y += 0.001 * vy
    return round((x * x + y * y) * 1e6)


def tree(count):
    state, root = 1, Node(1 << 30)
    for _ in range(count):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        root.insert(state)
    keys = list(root)
    assert keys == sorted(keys)
    return keys[len(keys) // 2]


def words(count):
    tally = {}
    for i in range(count):
        word = "word%d" % (i * i % 997)
        tally[word] = tally.get(word, 0) + len(word)
    text = " ".join(f"{word}={tally[word]}" for word in sorted(tally))
    return sum(map(len, text.split("="))) + text.count("9")


def work():
    return sieve(20000), orbit(3000), tree(1500), words(5000)


first = None
for _ in range(int(sys.argv[1])):
    result = work()
    first = first or result
    assert result == first
print("python", *first)
