"""What an estimator must withstand before its numbers are believed."""
