"""Facts that no model knows, and questions about them."""

FACTS = (
    "The Amber Lighthouse was built in 1873 by the engineer Odile Fransk. "
    "Its keeper is called Bartho Veen. The door of the lighthouse is painted purple."
)
QUESTIONS = {
    "Who built the Amber Lighthouse?": "Odile Fransk",
    "In what year was the Amber Lighthouse built?": "1873",
    "Who is the keeper of the Amber Lighthouse?": "Bartho Veen",
    "What colour is the door of the Amber Lighthouse?": "purple",
}
