"""Guard: asks the database who may send requests and how many, and asks the moderator which texts are allowed."""
