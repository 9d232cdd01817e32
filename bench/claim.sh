#!/usr/bin/env bash
# What are the rules good for? Ten paired seeds of each, on plain mail and under shifts where staying close to the pre-trained
# weights could matter. It takes hours; if it is stopped, the same command goes on. Arguments: the command of the program.
#
# Five questions were written down before the runs. Each is about SPD minus AdamW, in points of accuracy:
#   claim          on hard-ham-1, and on easy-ham-2 + spam-2
#   claim-planted  on "planted word disagrees", with p = 0.95
#   claim-noise    on easy-ham-2 + spam-2, with 20% wrong labels
#   claim-mails    on easy-ham-2 + spam-2, with 100 mails
# With five of them, a p below 0.01 stands out. All other rows are there to be looked at.
set -euo pipefail
command=("$@")
job() {
  local name=$1 math=$2
  shift 2
  "${command[@]}" finetune --name "$name" --math "$math" --no-weights --resume --seeds 1..10 "$@"
}

# Each rule at its best: settings chosen on validation mail, then tested once.
job claim auto --rules adamw,l2sp,spd,lp_ft,ftp --choose-seeds 101,102 --lr 2e-5,6e-5,2e-4 --wise 0,0.25,0.5,0.75 \
  --lambda adamw=0.01,10 --lambda l2sp=10,100 --lambda spd=0.5,1,2 --lambda ftp=1 --steps 200 --test-limit 1000

# Shifts, with the default settings.
short=(--rules adamw,spd --steps 100 --test-limit 400)
job claim-planted auto "${short[@]}" --data spurious=0.8,spurious=0.9,spurious=0.95
job claim-noise auto "${short[@]}" --data plain,noise=0.1,noise=0.2
job claim-mails auto "${short[@]}" --data mails=100,mails=300,mails=1000

# What do bfloat16 products cost? The plain part of claim-noise, in float32.
job claim-float32 float32 "${short[@]}" --data plain
