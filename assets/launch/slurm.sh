#!/bin/sh
# An example for SLURM: copy it out of the job and set what your cluster wants. `sbatch slurm.sh`, with JOB and MODEL set; where its
# time was too short, the same again goes on.
#SBATCH --job-name=whorl
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=32
#SBATCH --requeue
#SBATCH --signal=TERM@120
set -eu
: "${JOB:?the folder of the job, which all machines see}" "${MODEL:?the folder of the model}"
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export NNODES="$SLURM_JOB_NUM_NODES" NPROC="${SLURM_GPUS_ON_NODE:-8}" ENDPOINT="$head:29500"
# Since 22.05 srun does not take this from sbatch.
[ -z "${SLURM_CPUS_PER_TASK:-}" ] || export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"
exec srun sh -c 'NODE_RANK=$SLURM_NODEID exec sh "$JOB/run.sh"'
