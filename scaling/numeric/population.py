from scaling.numeric._binning import Counter
from scaling.numeric._coordinates import blocks
from scaling.numeric._population_sums import LatticeSums
