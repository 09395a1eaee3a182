"""M2SNet and U-Net as trainers of nnU-Net v2 (revised M2SNet paper, Table 7). How to run them: :mod:`m2s.nnunet`.

Only the network is ours. Normalisation (z-score of each channel and image), patches, batch size, augmentation, loss
(Dice and cross-entropy over a softmax), optimizer and inference (sliding window, mirroring) stay nnU-Net's. The paper
says no more than that one version of M2SNet is "based on" nnU-Net's framework (section 4.4); so there is no LossNet
here, and one output at full size, where nnU-Net's own network has one at every scale.

nnU-Net builds the network from the trainer's name again when it predicts. So what shapes the network is a class
attribute, and another encoder is another class: ``class M2SNetPVT(M2SNetTrainer): encoder = "pvt_v2_b4"``.
"""

from m2s.nnunet.run import check_installed

check_installed()  # or the next import would say less

import torch  # noqa: E402
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer  # noqa: E402
from torch import nn  # noqa: E402

from m2s.errors import InputError  # noqa: E402
from m2s.zoo import create_model  # noqa: E402


class M2SNetTrainer(nnUNetTrainer):
    """M2SNet with the paper's encoder, for RGB images and the configuration ``2d`` alone."""

    model = "m2snet"
    encoder = "res2net50d"
    pretrained = True

    # nnU-Net keeps the arguments by their names, so they cannot be *args.
    def __init__(self, plans: dict, configuration: str, fold, dataset_json: dict, device=torch.device("cuda")):  # noqa: B008
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.enable_deep_supervision = False

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager,
        configuration_manager,
        num_input_channels,
        num_output_channels,
        enable_deep_supervision=False,
    ) -> nn.Module:
        """The network with random weights: ``(N, 3, H, W)`` to logits ``(N, classes with background, H, W)``."""
        if len(configuration_manager.patch_size) != 2:
            raise InputError(f"{cls.__name__} is for images: train the configuration 2d, not a 3-D one")
        if num_input_channels != 3:
            told = f"{cls.__name__} is for RGB images of 3 channels, but dataset.json lists {num_input_channels}"
            raise InputError(told)
        return create_model(cls.model, cls.encoder, pretrained=False, num_classes=num_output_channels)

    def initialize(self) -> None:
        """nnU-Net's set-up for a training; then ImageNet weights for the encoder, which a prediction does not need."""
        super().initialize()
        if self.pretrained:
            ours = create_model(self.model, self.encoder, pretrained=True)
            getattr(self.network, "module", self.network).encoder.load_state_dict(ours.encoder.state_dict())
            self.print_to_log_file(f"encoder {self.encoder}: weights from {ours.weights_source}")

    def set_deep_supervision_enabled(self, enabled: bool) -> None:
        """Nothing to switch: the network has one output."""


class M2SNetLiteTrainer(M2SNetTrainer):
    """M2SNet with the small encoder of the profiles ``lab`` and ``full``."""

    encoder = "tf_efficientnet_lite0"


class M2SNetTinyTrainer(M2SNetTrainer):
    """For tests: timm's tiny encoder with random weights. Its scores mean nothing."""

    encoder = "test_efficientnet"
    pretrained = False


class UNetTrainer(M2SNetTrainer):
    """U-Net with the same encoder as M2SNet's (sides of a patch: multiples of 32); nnU-Net's own network has none."""

    model = "unet"


class UNetLiteTrainer(UNetTrainer, M2SNetLiteTrainer):
    """U-Net with the small encoder."""


class UNetTinyTrainer(UNetTrainer, M2SNetTinyTrainer):
    """For tests, as :class:`M2SNetTinyTrainer`."""
