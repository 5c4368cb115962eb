"""Laws handed to sweep engines and to training loops; each engine an extra, imported when used."""
