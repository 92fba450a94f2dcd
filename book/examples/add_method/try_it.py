"""Run the table with short trainings and print it."""

from fbu.experiments.smoothing import table1_amount

table = table1_amount(images=160).run(device="cpu")
print(table.page("RAF-DB").drop(columns="cost").to_string())
