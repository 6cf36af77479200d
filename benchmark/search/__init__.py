"""An answer and a time in, a trained model out: fine-tunings that stop early where others are ahead."""
