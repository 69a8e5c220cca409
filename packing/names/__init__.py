"""How blocks get their names: compared sharply, through noise, and weighed against chance."""
