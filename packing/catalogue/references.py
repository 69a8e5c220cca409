"""Who proved what: the sources that the catalogue's claims cite."""

from __future__ import annotations

from packing.catalogue.entry_types import Claim

COHN_KUMAR = "Cohn & Kumar, J. Amer. Math. Soc. 20 (2007) 99-148"
FEJES_TOTH = "L. Fejes Toth, Jber. Deutsch. Math.-Verein. 53 (1943) 66-68"
SCHUETTE_1951 = "Schuette & van der Waerden, Math. Ann. 123 (1951) 96-124"
SCHUETTE_1953 = "Schuette & van der Waerden, Math. Ann. 125 (1953) 325-334"
RANKIN = "Rankin, Proc. Glasgow Math. Assoc. 2 (1955) 139-144"
ROBINSON = "Robinson, Math. Ann. 144 (1961) 17-48"
DANZER = "Danzer, Discrete Math. 60 (1986) 3-66"
THIRTEEN = "Musin & Tarasov, Discrete Comput. Geom. 48 (2012) 128-141"
MUSIN_TARASOV = "Musin & Tarasov, Exp. Math. 24 (2015) 460-468"
MUSIN = "Musin, Ann. of Math. 168 (2008) 1-32"
BACHOC_VALLENTIN = "Bachoc & Vallentin, J. Combin. Theory Ser. A 116 (2009) 195-204"
BALLINGER = (
    "Ballinger, Blekherman, Cohn, Giansiracusa, Kelly & Schuermann, Exp. Math. 18 (2009) 257-283"
)
D4_UNIQUE = "de Laat, Leijenhorst & de Muinck Keizer, arXiv 2404.18794 (2024)"
KISSING_8 = "Odlyzko & Sloane, J. Combin. Theory Ser. A 26 (1979) 210-214; Levenshtein (1979)"
KISSING_TABLE = "best known: Conway & Sloane, Sphere Packings, Lattices and Groups, Table 1.5"
WELCH = "meets the bound of Welch, IEEE Trans. Inform. Theory 20 (1974) 397-399"
ORTHOPLEX = "meets the orthoplex bound: Conway, Hardin & Sloane, Exp. Math. 5 (1996) 139-159"
LEVENSHTEIN = "meets the bound of Levenshtein, Acta Appl. Math. 29 (1992) 1-82, for lines"
ANTIPODAL = "follows from the same for spherical codes, since the code is antipodal"
GERZON = "meets Gerzon's bound d(d+1)/2: Lemmens & Seidel, J. Algebra 24 (1973) 494-512"

UNIVERSAL = Claim("universal", "proved", COHN_KUMAR)


def proved(optimal_for: str, source: str) -> Claim:
    return Claim(optimal_for, "proved", source)


def conjectured(optimal_for: str, source: str) -> Claim:
    return Claim(optimal_for, "conjectured", source)
