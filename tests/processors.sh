#!/usr/bin/env bash
# Run the tests as other processors would: with older instruction sets, and with one and two threads.
# Usage: tests/processors.sh [arguments of pytest]; prints how each setting ended and how long it took.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0
for threads in 1 2; do
    for kernels in "SSE41 default" "AVX2 avx2" "- -"; do
        read -r onednn aten <<< "$kernels"
        # Threads that wait must not spin: there may be more of them than processors.
        settings=(OMP_NUM_THREADS=$threads OMP_WAIT_POLICY=PASSIVE)
        # The first is read by PyTorch's oneDNN, the second by MXNet's, which is older.
        [ "$onednn" = - ] || settings+=(
            ONEDNN_MAX_CPU_ISA="$onednn" DNNL_MAX_CPU_ISA="$onednn" ATEN_CPU_CAPABILITY="$aten"
        )
        start=$SECONDS
        env "${settings[@]}" .venv/bin/python -m pytest -n 2 --dist worksteal -q "$@"
        status=$?
        echo "=== ${settings[*]}: status $status, $((SECONDS - start)) s"
        [ $status = 0 ] || failed=1
    done
done
exit $failed
