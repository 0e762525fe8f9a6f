#!/usr/bin/env bash
# ecg: one lead of an electrocardiogram at 360 Hz, freed of baseline wander, electrode motion and muscle noise.
set -euo pipefail
. "$(dirname "$0")/common.sh"

[ -d "$WORK/ecg/test" ] || python3 "$(dirname "$0")/ecg.py" "$DATA/signals" "$WORK/ecg"
train ecg --family signal --samples "$WORK/ecg/train" --loss psnr --steps 8000 --seed 1 \
  --data 'MIT-BIH arrhythmia database, 10 records, with noise of the MIT-BIH noise stress test database (ODC-By 1.0)'
"$LIMPID" evaluate "$WORK/ecg/test" --model ecg --models "$MODELS"
