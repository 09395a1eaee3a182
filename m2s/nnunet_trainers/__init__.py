"""The folder that ``nnUNet_extTrainer`` points to: nnU-Net imports every module in it, so it holds nothing else."""
