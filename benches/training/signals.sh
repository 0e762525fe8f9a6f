#!/bin/sh
# A model of two-lead ECG (MIT-BIH arrhythmia database, 360 Hz) under white noise of half the signal's deviation.
# Ten records are trained on, four others are only evaluated on. Usage: signals.sh LIMPID MITDB [STEPS].
set -eu
limpid=$1 mitdb=$2 steps=${3:-2000}
work=$(mktemp -d)
mkdir "$work/train" "$work/test"
cp "$mitdb"/1*.npy "$mitdb"/20*.npy "$work/train"
cp "$mitdb"/21*.npy "$mitdb"/22*.npy "$mitdb"/23*.npy "$work/test"
"$limpid" train --name ecg --family signal --samples "$work/train" --steps "$steps" --seed 1 \
    --models "$work/models" --checkpoint "$work/ecg.checkpoint" 2>"$work/ecg.log"
"$limpid" evaluate --model ecg --sigma 0.25,0.5,1 "$work/test" --models "$work/models"
