#!/usr/bin/env bash
# signal: one channel of any sensor, in any unit and at any rate, freed of white and slightly coloured noise.
set -euo pipefail
. "$(dirname "$0")/common.sh"

[ -d "$WORK/signal/test" ] || python3 "$(dirname "$0")/signal.py" "$WORK/signal"
# Weak noise as often as strong, and sometimes none: a signal that is clean must come back as it was. The held-out mean counts
# those at 100 dB, which no result reaches, so that the version would be kept back.
cat >"$WORK/signal.json" <<'JSON'
{"name": "signal", "family": {"signal": {"channels": 1, "widths": [32, 48, 72], "encoder_blocks": [1, 1, 4],
  "decoder_blocks": [1, 1, 4], "refiner_blocks": 1, "latent": [1, 1, 2]}},
  "corruption": {"random": [{"none": {}}, {"gaussian": {"sigma": [0, 0.1]}}, {"gaussian": {"sigma": [0.05, 0.5]}},
    {"gaussian": {"sigma": [0.3, 1.5]}}, {"gaussian": {"sigma": [0.02, 1], "blur": [0.4, 1.5]}}]},
  "steps": 12000, "seed": 1, "promote": "always", "loss": "psnr", "learning_rate": 0.002, "batch": 8, "crop": 2048}
JSON
train signal --training-config "$WORK/signal.json" --samples "$WORK/signal/train" \
  --data 'made signals: steps, ramps, oscillations, pulses, random walks (models/recipes/signal.py)'
# Tells the service to bound its changes by the noise of the signal.
python3 - "$(ls -d "$MODELS"/signal/*/config.json | sort -V | tail -1)" <<'PY'
import json, sys
config = json.load(open(sys.argv[1]))
config["training"]["removes"] = "white"
json.dump(config, open(sys.argv[1], "w"), indent=2)
PY
"$LIMPID" evaluate "$WORK/signal/test" --model signal --sigma 0.1,0.25,0.5,1 --models "$MODELS"
