"""Others on the same bars, in the same run: TA-Lib's functions, and the EMA cross of other backtesters in their own process."""
