r"""nnU-Net v2 as a second framework around M2SNet (revised M2SNet paper, Table 7): an extra, not part of the lock.

In order::

    pip install 'm2s[nnunet]'     # in an environment of its own: nnU-Net 2.8 wants an older timm than our lock has
    export nnUNet_raw=… nnUNet_preprocessed=… nnUNet_results=…    # three folders, as nnU-Net always needs them
    export nnUNet_extTrainer=$(python -m m2s.nnunet trainers)     # here nnU-Net finds M2SNetTrainer and the others
    python -m m2s.nnunet write Dataset901_Polyps --train kvasir clinicdb --test etis cvc300tv --data DIR
    nnUNetv2_plan_and_preprocess -d 901 -c 2d
    nnUNetv2_train 901 2d all -tr M2SNetTrainer    # or fold 0 … 4; without -tr: nnU-Net's own network
    nnUNetv2_predict -d 901 -c 2d -f all -tr M2SNetTrainer -i $nnUNet_raw/Dataset901_Polyps/imagesTs -o predictions
    python -m m2s.nnunet score Dataset901_Polyps predictions --row "M2SNet (nnU-Net framework)" --profile paper \
        --settings "M2SNetTrainer, fold all, 1000 epochs of 250 batches"

The last line scores at the masks' own sizes and writes ``tables/26_nnunet.csv`` of the profile, which notebook 26
shows. ``python -m m2s.nnunet short`` does all steps from planning to scoring, for a training of a few steps on a CPU.
"""
