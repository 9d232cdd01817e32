#!/usr/bin/env bash
# The experiments behind the README's tables of what the rules are good for: ten paired seeds each. They take hours; if they
# are stopped, the same command goes on. Arguments: the command that runs the fine-tuning job.
set -euo pipefail
job() {
  local name=$1
  shift
  "${command[@]}" finetune --name "$name" --math auto --no-weights --resume --seeds 1..10 "$@"
}
command=("$@")

# Every rule at its best: settings chosen on validation mail, then tested once.
job claim --rules adamw,l2sp,spd,lp_ft,ftp --choose-seeds 101,102 --lr 2e-5,5e-5,1e-4 \
  --lambda adamw=0.01,1 --lambda l2sp=10,100 --lambda spd=0.5,1,2

# Shifts where staying close to the pre-trained weights could matter, with the default settings.
short=(--rules adamw,l2sp,spd --steps 100 --test-limit 400)
job claim-mails "${short[@]}" --data mails=100,mails=300,mails=1000
job claim-noise "${short[@]}" --data plain,noise=0.1,noise=0.2
job claim-planted "${short[@]}" --data spurious=0.8,spurious=0.9,spurious=0.95,spurious=0.99
