"""What a connection should be: one judgement an expectation, and expectations written down in a file."""
