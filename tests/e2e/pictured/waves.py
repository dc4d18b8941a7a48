"""Work that comes and goes, in cpu and in memory: something for the charts to show."""

import math
import time

began = time.time()
stock: list[bytearray] = []
while True:
    turn = 2 * math.pi * (time.time() - began) / 14
    until = time.time() + 0.04 + 0.2 * (1 + math.sin(turn))
    while time.time() < until:
        math.factorial(100)
    del stock[int(14 + 12 * math.sin(turn / 2)) :]
    stock.append(bytearray(b"x" * (1 << 20)))
    with open("/data/waves.csv", "a") as file:
        file.write(f"{time.time():.1f},{math.sin(turn):.3f}\n")
    print(f"wave {turn / 6.283:6.2f}  {'▁▂▃▄▅▆▇█'[int(3.5 + 3.4 * math.sin(turn))] * 16}", flush=True)
    time.sleep(0.4)
