#!/bin/sh
# Time a .tflite file on an Android phone: a program for latency.py --device command.
#
#   latency.py generate --device command --command "examples/phone_time.sh {tflite} {runs} {threads}" \
#      --command-pattern "Inference \(avg\): (?P<us>[0-9.e+]+)" …
#
# Once before: adb push android_aarch64_benchmark_model /data/local/tmp/benchmark_model, LiteRT's
# native benchmark binary (https://ai.google.dev/edge/litert), and adb shell chmod +x on it.
set -e
folder=/data/local/tmp
adb push "$1" "$folder/network.tflite" > /dev/null
adb shell "$folder/benchmark_model" "--graph=$folder/network.tflite" \
    "--num_runs=$2" "--num_threads=$3" --warmup_runs=5 --min_secs=0
