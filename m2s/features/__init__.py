"""What happens inside a network: every node of its pyramid, redundancy, perturbations, cost."""
