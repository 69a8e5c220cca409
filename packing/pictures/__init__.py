"""Pictures of codes and of named arrangements, and the planes and axes they are seen along."""
