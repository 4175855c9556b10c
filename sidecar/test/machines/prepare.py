"""What the actors find: prepare.py FOLDER makes it."""
import os, sys
from contents import line, make

folder = sys.argv[1]
for each in ("registers", "edits", "logs", "claims", "tree"):
    os.mkdir(f"{folder}/{each}")
for number in range(3):
    with open(f"{folder}/registers/{number}", "wb") as file:
        file.write(make("initial", 1000))
for number, length in enumerate((4096, 1_500_000)):  # the second one is too large to be fetched by an open
    with open(f"{folder}/edits/{number}", "wb") as file:
        file.write(make("initial", length))
for number, count in enumerate((0, 16_000)):  # the second one is too large to be sent as a whole
    with open(f"{folder}/logs/{number}", "wb") as file:
        file.writelines(line(f"initial-{each}") for each in range(count))
