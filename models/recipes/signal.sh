#!/usr/bin/env bash
# signal: one channel of any sensor, in any unit and at any rate, freed of white and slightly coloured noise.
set -euo pipefail
. "$(dirname "$0")/common.sh"

[ -d "$WORK/signal/test" ] || python3 "$(dirname "$0")/signal.py" "$WORK/signal"
# Weak noise as often as strong, and sometimes none: a signal that is clean must come back as it was.
cat >"$WORK/signal.json" <<'JSON'
{"name": "signal", "family": {"signal": {"channels": 1, "widths": [32, 48, 72], "encoder_blocks": [1, 1, 4],
  "decoder_blocks": [1, 1, 4], "refiner_blocks": 1, "latent": [1, 1, 2]}},
  "corruption": {"random": [{"none": {}}, {"gaussian": {"sigma": [0, 0.1]}}, {"gaussian": {"sigma": [0.05, 0.5]}},
    {"gaussian": {"sigma": [0.3, 1.5]}}, {"gaussian": {"sigma": [0.02, 1], "blur": [0.4, 1.5]}}]},
  "steps": 12000, "seed": 1, "loss": "psnr", "learning_rate": 0.002, "batch": 8, "crop": 2048}
JSON
train signal --training-config "$WORK/signal.json" --samples "$WORK/signal/train" \
  --data 'made signals: steps, ramps, oscillations, pulses, random walks (models/recipes/signal.py)'
"$LIMPID" evaluate "$WORK/signal/test" --model signal --sigma 0.1,0.25,0.5,1 --models "$MODELS"
