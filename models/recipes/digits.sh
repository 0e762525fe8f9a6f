#!/usr/bin/env bash
# digits: 28x28 handwritten digits as 32 numbers; digits-map: as 2 numbers, a map to look at.
set -euo pipefail
. "$(dirname "$0")/common.sh"
mnist=$DATA/small/mnist

evaluate() { # model, sigmas
  "$LIMPID" evaluate "$mnist/t10k-images-idx3-ubyte.gz" --models "$MODELS" --no-baseline --model "$1" --sigma "$2" \
    --labels "$mnist/t10k-labels-idx1-ubyte.gz" --sheet "$WORK/$1.png"
}
# learn RUN CONFIG: trains on the digits.
learn() {
  echo "$2" >"$WORK/$1.json"
  train "$1" --training-config "$WORK/$1.json" --samples "$mnist/train-images-idx3-ubyte.gz" \
    --data "MNIST's 60,000 training digits (CC BY-SA 3.0)"
}
learn digits '{"name": "digits", "steps": 12000, "seed": 1, "loss": "psnr", "corruption": {"gaussian": {"sigma": [0, 160]}},
  "family": {"compact": {"channels": 1, "height": 28, "width": 28, "latent": 32, "widths": [32, 96], "blocks": [1, 2]}}}'
# Then half of them under strong noise, which is what the latent has least room for.
learn digits-strong '{"name": "digits", "base": "digits", "promote": "always", "steps": 12000, "learning_rate": 0.001, "seed": 3,
  "loss": "psnr", "corruption": {"random": [{"gaussian": {"sigma": [0, 160]}}, {"gaussian": {"sigma": [96, 160]}}]}}'
# A map is for looking at: digits that look alike shall lie together, which rebuilding them alone does not ask for. Many in a
# batch, so that each has some near ones in it, and a small network, so that a step is quick.
learn digits-map '{"name": "digits-map", "steps": 1200, "seed": 3, "batch": 1024, "learning_rate": 0.003, "keep_neighbors": 4,
  "loss": "psnr", "corruption": {"gaussian": {"sigma": [0, 64]}},
  "family": {"compact": {"channels": 1, "height": 28, "width": 28, "latent": 2, "widths": [16, 48], "blocks": [1, 1]}}}'
# Its map: test digits, which no model has seen, with their labels.
newest=$(ls -d "$MODELS"/digits-map/[0-9]* | sort -V | tail -1)
"$LIMPID" map digits-map --models "$MODELS" --samples "$mnist/t10k-images-idx3-ubyte.gz" --labels "$mnist/t10k-labels-idx1-ubyte.gz" \
  --data "1,000 of MNIST's 10,000 test digits (CC BY-SA 3.0)" -o "$newest/map.json"
evaluate digits 0,64,127.5
evaluate digits-map 0,64
