"""CLEF's first stage in several processes: the step is that of one process on the joined batch.

python book/examples/two_processes.py
torchrun --standalone --nproc-per-node 2 book/examples/two_processes.py
"""

import torch
from accelerate import Accelerator

from fbu.distributed import gather_features
from fbu.losses import clef_pretraining

accelerator = Accelerator(cpu=True)
rank, processes = accelerator.process_index, accelerator.num_processes
accelerator.print(f"processes: {processes}")

# The joined batch: features before the last layer, and activities. Each process keeps its share.
torch.manual_seed(0)
image, view, text = torch.randn(3, 12, 32).unbind()
activity = torch.randint(4, (12,))
mine = slice(rank * 12 // processes, (rank + 1) * 12 // processes)

model = accelerator.prepare(torch.nn.Linear(32, 16))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

for step in range(3):
    # One call of the model: DistributedDataParallel counts calls, and averages gradients once.
    z = model(torch.cat([image[mine], view[mine], text[mine]])).chunk(3)
    z_image, z_view, z_text, labels = gather_features(*z, labels=activity[mine])
    loss, terms = clef_pretraining(z_image, z_view, z_text, labels)
    optimizer.zero_grad()
    accelerator.backward(loss)
    optimizer.step()
    accelerator.print(f"step {step}: loss {loss:.5f} over {len(labels)} samples")

accelerator.print(f"weights: {sum(p.square().sum() for p in model.parameters()):.5f}")
accelerator.end_training()
